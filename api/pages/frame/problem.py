"""`/problems/{name}`: what a type of problem means and what to do, for who follows the `type` of an error.

Open to all, as a page or as JSON by what the asker accepts.
"""

from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import JSONResponse, Response

from api.identity.authentication import OPEN
from api.web.answering import page_routes
from api.web.problem_types import TYPES, path_of
from api.web.problems import not_found, wants_page
from api.web.services import services
from api.words.presentation import N_

router = page_routes()


@router.get("/problems", dependencies=[OPEN])
def list_problems(request: Request) -> Response:
    return _shown(request, list(TYPES))


@router.get("/problems/{problem}", dependencies=[OPEN])
def show_problem(request: Request, problem: Annotated[str, Path(max_length=100)]) -> Response:
    if problem not in TYPES:
        raise not_found(N_("This type of problem"), N_("/problems lists them."))
    return _shown(request, [problem])


def _shown(request: Request, names: list[str]) -> Response:
    vary = {"Vary": "Accept"}
    if wants_page(request):
        types = {name: TYPES[name] for name in names}
        return services(request).templates.TemplateResponse(
            request, "frame/problem.html", {"types": types}, headers=vary
        )
    documents = [
        {
            "type": path_of(name),
            "status": TYPES[name].status.value,
            "title": TYPES[name].title,
            "meaning": TYPES[name].meaning,
            "remedy": TYPES[name].remedy,
        }
        for name in names
    ]
    listed = request.url.path == "/problems"
    return JSONResponse({"problems": documents} if listed else documents[0], headers=vary)
