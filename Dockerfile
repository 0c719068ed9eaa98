# The service, without torch. CPU by default; --build-arg RUNTIME=gpu for the GPU builds of
# ONNX Runtime and FAISS (then choose a base with the CUDA libraries: --build-arg BASE=...).
# --build-arg EXTRAS=otel,aac for one that reads m4a too, larger by FFmpeg's libraries.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG RUNTIME=cpu
ARG EXTRAS=otel
WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY service service
COPY training training
RUN python3 -m venv --without-pip /opt/minuend \
    && pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && pip --python /opt/minuend/bin/python install --no-cache-dir --constraint constraints.txt \
        "$(echo /wheels/minuend-*.whl)[${RUNTIME},${EXTRAS}]"
# What is never loaded: the client of a hub, which only fetches; tests and build tools of numpy and
# ONNX Runtime; the library of the latter for C programs.
RUN pip --python /opt/minuend/bin/python uninstall --yes --quiet \
        huggingface_hub hf-xet fsspec filelock httpx2 httpcore2 truststore pyyaml \
    && cd /opt/minuend/lib/python3*/site-packages \
    && find . -type d -name tests -prune -exec rm -r {} + \
    && rm -rf numpy/distutils numpy/f2py numpy/_core/include numpy/_core/lib \
        onnxruntime/backend onnxruntime/datasets onnxruntime/quantization onnxruntime/tools \
        onnxruntime/transformers \
    && if [ "${RUNTIME}" = cpu ]; then rm onnxruntime/capi/libonnxruntime.so.*; fi

FROM ${BASE}
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
