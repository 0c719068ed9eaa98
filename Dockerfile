# The service, without torch. CPU by default; --build-arg RUNTIME=gpu for the GPU builds of
# ONNX Runtime and FAISS (then choose a base with the CUDA libraries: --build-arg BASE=...).
# --build-arg EXTRAS=otel,aac for one that reads m4a too, larger by FFmpeg's libraries.
# A tag can be moved: --build-arg BASE=python:3.11-slim-bookworm@sha256:... pins the base image.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG RUNTIME=cpu
ARG EXTRAS=otel
WORKDIR /source
COPY deploy/requirements deploy/requirements
# Wheels alone, each with the version and hash of deploy/requirements, which `make lock` writes.
RUN python3 -m venv /build \
    && /build/bin/python -m pip install --no-cache-dir --require-hashes --only-binary :all: \
        --requirement deploy/requirements/build.txt \
    && python3 -m venv --without-pip /opt/minuend \
    && pip --python /opt/minuend/bin/python install --no-cache-dir --require-hashes \
        --only-binary :all: \
        $(for extra in ${RUNTIME} $(echo "${EXTRAS}" | tr , ' '); do \
            echo "--requirement deploy/requirements/${extra}.txt"; done)
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY training training
RUN /build/bin/python -m pip wheel --no-cache-dir --no-deps --no-build-isolation \
        --wheel-dir /wheels . \
    && pip --python /opt/minuend/bin/python install --no-index --no-deps --find-links /wheels minuend \
    && pip --python /opt/minuend/bin/python check
# What is never loaded: the client of a hub, which only fetches; tests and build tools of numpy and
# ONNX Runtime; the library of the latter for C programs.
RUN pip --python /opt/minuend/bin/python uninstall --yes --quiet \
        huggingface_hub hf-xet fsspec filelock httpx2 httpcore2 truststore pyyaml \
    && cd /opt/minuend/lib/python3*/site-packages \
    && find . -type d -name tests -prune -exec rm -r {} + \
    && rm -rf numpy/distutils numpy/f2py numpy/_core/include numpy/_core/lib \
        onnxruntime/backend onnxruntime/datasets onnxruntime/quantization onnxruntime/tools \
        onnxruntime/transformers \
    && if [ "${RUNTIME}" = cpu ]; then rm onnxruntime/capi/libonnxruntime.so.*; fi \
    && /build/bin/cyclonedx-py environment --output-reproducible \
        --output-file /opt/minuend/sbom.cdx.json /opt/minuend/bin/python

FROM ${BASE}
ARG BASE
LABEL org.opencontainers.image.base.name=${BASE}
RUN groupadd --system --gid 10001 minuend \
    && useradd --system --uid 10001 --gid minuend --home-dir /nonexistent minuend \
    && install --directory --owner minuend --group minuend /library /backups
COPY --from=build /opt/minuend /opt/minuend
COPY models/default /models/default
ENV PATH=/opt/minuend/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    MINUEND_HOST=0.0.0.0 \
    MINUEND_PORT=8000 \
    MINUEND_BUNDLE=/models/default \
    MINUEND_LIBRARY=/library
USER minuend
VOLUME /library
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["minuend", "serve"]
