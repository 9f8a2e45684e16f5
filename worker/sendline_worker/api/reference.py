"""The documentation as a page, made of the OpenAPI document: it loads nothing, from here or elsewhere."""

from fastapi import Request
from starlette.responses import HTMLResponse

from sendline_worker.api.reference_page import page
from sendline_worker.api.routing import router as make_router

router = make_router("reference")

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """Return the page."""
    return HTMLResponse(page(request.app.openapi()), headers={"content-security-policy": _POLICY})
