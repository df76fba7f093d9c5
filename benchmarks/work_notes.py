"""Notes about projects at work, and questions that they answer in other words: texts of facts.py.

Other topics than there, longer texts, and near misses of which some tell. No weight was chosen on
them; but that names count was thought of when they were found badly.
"""

import random
from collections.abc import Iterator, Sequence

PROJECTS = (
    "Heron Falcon Juniper Basalt Cobalt Meridian Quarry Lantern Harbour Saffron Tundra Willow Anvil"
    " Beacon Cedar Drift Ember Fathom Granite Hazel"
).split()

PEOPLE = "Mina Tomasz Oluwaseun Birgit Hiroshi Carmen Rashid Yvonne".split()
MONTHS = "January February April June September October November".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday".split()
TOWNS = "Frankfurt Dublin Stockholm Oregon Singapore Montreal".split()
FIRMS = "Norsk Hydro,Bolt & Sons,the post office,Atlas Freight,the city council".split(",")
NUMBERS = "two three four six eight twelve twenty forty".split()
COLOURS = "turquoise maroon beige violet crimson olive".split()

TOPICS: Sequence[tuple[str, str, Sequence[str]]] = (
    ("{who} keeps its records in {what}.", "Which database does {who} use?",
     "Postgres SQLite Oracle MariaDB Cassandra".split()),
    ("{who} goes live in {what}.", "When will {who} be released to customers?", MONTHS),
    ("We agreed to write {who} in {what}.", "What programming language was chosen for {who}?",
     "Rust Go Kotlin Python Elixir".split()),
    ("{what} looks after {who} in the holidays.", "Who is the deputy for {who}?", PEOPLE),
    ("The bills of {who} are paid by {what}.", "Which department covers the costs of {who}?",
     "marketing sales research logistics".split()),
    ("The {who} team sits together every {what}.", "On which day is the {who} meeting?", WEEKDAYS),
    ("{who} must answer within {what} milliseconds.", "How fast has {who} to be?", NUMBERS),
    ("{who} runs on machines in {what}.", "Where are the servers of {who} hosted?", TOWNS),
    ("People complain most about the {what} of {who}.", "What do users dislike in {who}?",
     "login printing search pricing".split()),
    ("Write to the {who} people by {what}, not by mail.", "How does one contact those on {who}?",
     "chat phone ticket fax".split()),
    ("{who} has {what} thousand euros left.", "How much money may {who} still spend?", NUMBERS),
    ("{who} lost its contract with {what}.", "Which client did {who} fail to keep?", FIRMS),
    ("Passwords of {who} lie in {what}.", "Where are the credentials of {who} stored?",
     "a safe,the vault,an envelope,the key ring".split(",")),
    ("{what} tries {who} out before each release.", "Who does quality assurance of {who}?", PEOPLE),
    ("{who} will be switched off in {what}.", "When does {who} reach its end of life?", MONTHS),
    ("{who} is backed up every {what} hours.", "How often are copies made of {who}'s data?",
     NUMBERS),
    ("The logo of {who} is {what}.", "Which colour has the emblem of {who}?", COLOURS),
    ("At worst {who} was down for {what} hours.", "How long was the longest outage of {who}?",
     NUMBERS),
    ("{what} put {who} into Danish.", "Who translated {who}?", PEOPLE),
    ("{who} is licensed under {what}.", "On what terms may others use the code of {who}?",
     "MIT,the Apache licence,the GPL,a licence of our own".split(",")),
    ("The slides about {who} are due on {what}.", "What is the deadline of the {who} presentation?",
     WEEKDAYS),
    ("{who} wants {what} more developers.", "How many engineers should join {who}?", NUMBERS),
    ("{what} noticed the leak in {who}.", "Who discovered the security hole of {who}?", PEOPLE),
    ("{who} grew out of a prototype by {what}.", "Who had the first idea for {who}?", PEOPLE),
    ("We sell {who} to {what} first.", "Which customers get {who} before all others?", FIRMS),
)  # fmt: skip

ENDINGS = (
    "",
    "",
    " Nobody objected.",
    " This was settled on the call with Yvonne.",
    " It may be looked at again next year, when the figures of the first months are there.",
)


def ending(choose: random.Random) -> str:
    """What a note may add, which answers nothing."""
    return choose.choice(ENDINGS)


def near_misses(choose: random.Random) -> Iterator[str]:
    """What is nearly an answer: about a part of a project, asked, or told to be unanswered."""
    for who in PROJECTS:
        for said, _, values in choose.sample(TOPICS, 4):
            part = choose.choice(["old prototype", "mobile app", "Danish branch"])
            about = said.format(who=f"{who}'s {part}", what=choose.choice(values))
            yield about + ending(choose)
        alone, behind, unanswered = (asked for _, asked, _ in choose.sample(TOPICS, 3))
        yield alone.format(who=who)
        yield f"Birgit called in the morning. {behind.format(who=who)}"
        yield f'Carmen could not tell us: "{unanswered.format(who=who)}"'.replace('?"', '."')
