"""The encoder served by FastAPI, with a worker process for each core and its thread pool.

uvicorn fastapi_server:app --workers 2
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from model import Model, decode

app = FastAPI()
model = Model()


@app.post("/embed")
async def embed(request: Request) -> Response:
    """Embed a raw body."""
    body = await request.body()
    embedding = await run_in_threadpool(lambda: model.embed([decode(body)]))
    return Response(embedding.tobytes(), media_type="application/octet-stream")
