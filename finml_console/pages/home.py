"""Where the console begins."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from ._render import PREFIX, SECTIONS

router = APIRouter(include_in_schema=False)


@router.get("/")
@router.get(PREFIX)
def begin() -> RedirectResponse:
    """To the first page."""
    return RedirectResponse(f"{PREFIX}/{SECTIONS[0]}")
