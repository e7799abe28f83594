"""The pages of the company's knowledge: one box to ask, the sources beside the answers, and what to look at again."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tokencapital.app.guard import READERS
from tokencapital.app.knowing import ask_knowledge, clear_marks, marks_of, read_document
from tokencapital.app.platform import Platform
from tokencapital.core.errors import InputError
from tokencapital.core.knowledge import HitKind
from tokencapital.record.knowledge_routes import LONGEST_QUERY, KnowledgeQuery
from tokencapital.store.knowledge import documents
from tokencapital.web.pages import Pages
from tokencapital.web.people import who_acts

_HITS = 12
_KINDS = {kind.value: kind for kind in HitKind}


class KnowledgePages:
    """Where people ask what the company knows."""

    def __init__(self, platform: Platform, pages: Pages) -> None:
        self._platform = platform
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """What the site mounts."""
        return [
            self._pages.route("/knowledge", self.knowledge, READERS),
            self._pages.route("/knowledge/document/{document}", self.document, READERS),
            self._pages.route("/knowledge/marks/clear", self.clear, READERS, methods=["POST"]),
        ]

    async def knowledge(self, request: Request) -> Response:
        """What was found for the words in the address, what there is to look at again, and all documents."""
        query = request.query_params.get("q", "").strip()[:LONGEST_QUERY]
        kind = _KINDS.get(request.query_params.get("kind", ""))
        facts = {
            "query": query,
            "kind": kind,
            "kinds": list(HitKind),
            "hits": await run_in_threadpool(self._found, query, kind) if query else [],
            "documents": documents(self._platform.store),
            "marks": marks_of(self._platform),
            "now": self._platform.clock.now(),
        }
        return self._pages.render(request, "knowledge.html", facts)

    async def document(self, request: Request) -> Response:
        """A document in its newest version, or in that of the address, passage by passage."""
        version = request.query_params.get("version", "")
        if version and not version.isdecimal():
            raise InputError(f"there is no version {version!r}", where="version")
        shown = read_document(self._platform, request.path_params["document"], int(version) if version else None)
        facts = {"shown": shown, "now": self._platform.clock.now()}
        return self._pages.render(request, "document.html", facts)

    async def clear(self, request: Request) -> Response:
        """Somebody has looked at a lesson or a judgment again: nothing is marked on it any more."""
        visitor, form = await self._pages.form(request)
        clear_marks(self._platform, form.get("subject", ""), by=who_acts(visitor, form))
        return self._pages.onward(request, "/knowledge")

    def _found(self, query: str, kind: HitKind | None) -> object:
        asked = KnowledgeQuery(query=query, most=_HITS, kinds=() if kind is None else (kind,))
        return ask_knowledge(self._platform, asked)
