"""What the person who asked is told: what was held, what is gone, what stays and why, and what is made anew by when."""

from __future__ import annotations

from collections.abc import Iterator

from tokencapital.app.erasing import ArtifactFate, Erased, Ground

_OF = {"group": "customer or thread", "contributor": "contributor", "case": "case"}
_WHY = {
    Ground.REQUEST: "because somebody asked for it",
    Ground.RETENTION: "because it was kept as long as it was meant to be",
    Ground.MISTAKE: "because it should not have been recorded",
}


def report(done: Erased) -> str:
    """The report in Markdown. It repeats no word of what was erased."""
    parts = [
        f"# What was erased of the {_OF[done.kind]} `{done.subject}`",
        (
            f"On {done.at:%Y-%m-%d at %H:%M} UTC, by {done.by}, {_WHY[done.ground]}. It is act {done.number} of the "
            "audit chain, which anybody with access can check with `tcap verify`."
        ),
        "## What was held and is gone",
        *_gone(done),
        "## What was learned from it",
        *_learned(done),
        "## What stays, and why",
        *_stays(done),
    ]
    return "\n\n".join(parts) + "\n"


def _gone(done: Erased) -> Iterator[str]:
    wiped = done.wiped
    counts = [
        (wiped.cases, "what came in with a case (messages and their context)"),
        (wiped.answers, "answers to those cases"),
        (wiped.steps, "steps on the way to those answers"),
        (wiped.spans, "batches of spans that told of them"),
        (wiped.judgments, "answers that people gave as judgments"),
        (wiped.reasons, "reasons that people wrote"),
        (wiped.copies, "answers to other cases that repeated words of them"),
        (len(wiped.lessons), "lessons that rested on nothing else"),
        *((count, f"{what} of the person") for what, count in done.people.items()),
    ]
    rows = [f"| {count} | {what} |" for count, what in counts if count]
    if rows:
        yield "| how many | what |\n|---|---|\n" + "\n".join(rows)
    else:
        yield "Nothing was held any more."
    if wiped.withdrawn:
        yield (
            f"{len(wiped.withdrawn)} judgments were taken out of the memory: from the next request on none of them "
            "answers, none is shown to a model, none is found by a search, and none teaches."
        )
    yield _files(done)


def _files(done: Erased) -> str:
    if done.compacted:
        return "The store's files were written anew, so that they hold none of these bytes."
    return (
        "The words were overwritten in the store. Its files are still to be written anew: stop what reads the store "
        "and run `tcap erase` again for the same subject."
    )


def _learned(done: Erased) -> Iterator[str]:
    if not done.artifacts:
        yield "No trained model was built from it."
        return
    yield "\n".join(_fate(one, done) for one in done.artifacts)


def _fate(one: ArtifactFate, done: Erased) -> str:
    name = f"- Specialist `{one.artifact[:12]}` of `{one.capability}`"
    if not one.live:
        return f"{name}: erased. It answered nothing any more."
    if one.due is None:
        made = [release for release in done.rebuilt if release.capability == one.capability]
        instead = "; ".join(f"{release.decision.value} as `{release.id}`" for release in made)
        return f"{name}: erased. " + (
            f"One was made from what is left: {instead}."
            if made
            else "Too little is left to make one from; the capability answers without."
        )
    if one.erased:
        return f"{name}: erased at once, because it could hold words; it is made anew from what is left."
    return (
        f"{name}: holds numbers and names of labels only. It is made anew from what is left at the loop's next turn, "
        f"by {one.due:%Y-%m-%d} at the latest, and is erased then."
    )


def _stays(done: Erased) -> Iterator[str]:
    facts = ", ".join(f"{count} {what}" for what, count in done.facts.items() if count and what not in done.people)
    yield (
        f"Facts without words ({facts or 'none'}): that a case came in and when, under which id and group, which "
        "stage answered, what it cost, and that somebody judged it. They stay so that costs, counts and the evidence "
        "behind releases can still be checked by others. What was written is tied to them by a keyed digest only, "
        "from which it cannot be read back."
    )
    yield (
        f"The id `{done.subject}` itself stays in these facts and in the audit chain. If the id is a name or an "
        "address, whoever hands cases in should use a number instead."
    )
    if done.kind == "contributor":
        yield (
            "What others said of the same case in the same words stays, because it is theirs; so do the customers' "
            "own messages."
        )
    if done.set_aside:
        yield (
            f"{done.set_aside} records that the store would not take are set aside on disk and were not looked into: "
            "they may be of anybody. `tcap drain --json -` says why they are there; after `tcap drain --retry` has "
            "stored them the same erasure reaches them."
        )
    yield (
        "Not reached by this: files that were handed in or taken out before (recordings, exports, bundles, backups, "
        "stores of `tcap replay`), and what a rented model's provider keeps."
    )
