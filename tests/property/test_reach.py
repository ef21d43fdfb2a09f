"""Scopes against a plain predicate that knows territories as sets of places: 10,000 random scopes and records."""

from __future__ import annotations

import random
from datetime import date, timedelta

from countenance.gate.reach import Facts, reaches, stops
from countenance.records import OrderScope

CASES = 10_000
PLACES = {  # each territory as the places it consists of; "elsewhere" are the parts that have no code here
    "GB": {"Scotland", "Wales", "elsewhere in Britain"},
    "GB-SCT": {"Scotland"},
    "GB-WLS": {"Wales"},
    "IE": {"Ireland"},
    "FR": {"France"},
    "DE": {"Berlin", "elsewhere in Germany"},
    "DE-BE": {"Berlin"},
    "EU": {"Ireland", "France", "Berlin", "elsewhere in Germany", "elsewhere in the Union"},
    "US": {"Illinois", "California", "elsewhere in the States"},
    "US-IL": {"Illinois"},
    "US-CA": {"California"},
}
DAY = date(2022, 5, 18)


def some(rng, values, most):
    return tuple(rng.sample(sorted(values), rng.randint(0, min(most, len(values)))))


def day(rng):
    return None if rng.random() < 0.5 else DAY + timedelta(days=rng.randint(-3, 3))


def random_scope(rng):
    narrow = {
        "territories": some(rng, PLACES, 3),
        "collections": some(rng, {"c1", "c2"}, 1),
        "sources": some(rng, {"s1", "s2", "s3"}, 2),
        "subjects": some(rng, {"p1", "p2"}, 2),
        "purposes": some(rng, {"archive", "sale"}, 1),
        "added_from": day(rng),
        "added_until": day(rng),
        "taken_from": day(rng),
        "taken_until": day(rng),
    }
    chosen = rng.sample(sorted(narrow), rng.randint(0, 4))
    return OrderScope(unknown=rng.choice(("include", "exclude", "review")), **{name: narrow[name] for name in chosen})


def random_facts(rng):
    return Facts(
        territories=frozenset(some(rng, PLACES, 2)),
        collection=rng.choice(("c1", "c2", "c3")),
        source=rng.choice(("s1", "s2", "s3", "s4")),
        subjects=frozenset(some(rng, {"p1", "p2", "p3"}, 2)),
        purpose=rng.choice(("archive", "sale", None)),
        added=DAY + timedelta(days=rng.randint(-4, 4)),
        taken=rng.choice((None, DAY + timedelta(days=rng.randint(-4, 4)))),
    )


def expected(scope, facts):
    """What the order's text says, criterion by criterion: True, False, or None for not known."""
    answers = []
    if scope.territories:
        seen = [PLACES[code] for code in facts.territories]
        ordered = [PLACES[code] for code in scope.territories]
        if any(place <= whole for place in seen for whole in ordered):
            answers.append(True)
        elif not seen or any(whole < place for place in seen for whole in ordered):
            answers.append(None)
        else:
            answers.append(False)
    if scope.collections:
        answers.append(facts.collection in scope.collections)
    if scope.sources:
        answers.append(facts.source in scope.sources)
    if scope.subjects:
        answers.append(any(subject in scope.subjects for subject in facts.subjects))
    if scope.purposes:
        answers.append(facts.purpose in scope.purposes)
    for first, last, when in (
        (scope.added_from, scope.added_until, facts.added),
        (scope.taken_from, scope.taken_until, facts.taken),
    ):
        if first or last:
            answers.append(None if when is None else not ((first and when < first) or (last and when > last)))
    return "out" if False in answers else "undetermined" if None in answers else "in"


def test_every_scope_reaches_what_a_plain_predicate_says(tally):
    rng = random.Random(20220518)
    outcomes = set()
    for _ in range(CASES):
        scope, facts = random_scope(rng), random_facts(rng)
        said = expected(scope, facts)
        assert reaches(scope, facts) == said, (scope, facts)
        assert stops(scope, facts) == (said == "in" or (said == "undetermined" and scope.unknown != "exclude"))
        outcomes.add((said, scope.unknown))
        tally["scopes compared with a plain predicate"] += 1
    assert len(outcomes) == 9
