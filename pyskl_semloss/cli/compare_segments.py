"""Compare found segments with annotations by hand: how many are found, how many are false, name by name.

semloss compare-segments predictions/interview.csv by_hand.eaf
semloss compare-segments predictions/interview.csv by_hand.eaf --tier "gesture Ann" 1 --tier "gesture Bob" 2
Both are tables with start, end (s) and name, or ELAN files; see docs/predict.md.
"""

import argparse
import warnings
from collections import Counter

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.errors import InputError, one_line
from pyskl_semloss.io.reading import closest, fold
from pyskl_semloss.segments.matching import agreement
from pyskl_semloss.segments.reading import read_segments


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("found", metavar="FOUND", help="segments of semloss predict, .csv or .eaf")
    parser.add_argument("annotated", metavar="ANNOTATED", help="annotations by hand, .csv or .eaf")
    parser.add_argument(
        "--tier", nargs="+", action="append", default=[], metavar=("NAME", "PERSON"),
        help="tier of ANNOTATED and, of several, the number of its person from 1; may be given several times",
    )  # fmt: skip
    parser.add_argument("--video", default="", metavar="NAME", help="linked video of ANNOTATED whose times count")
    parser.add_argument("--iou", type=float, default=0.5, help="least intersection over union (default: 0.5)")
    return parser.parse_args()


def tiers_of(given: list[list[str]]) -> dict[str, int | None]:
    """Persons, from 0, by names of tiers.

    Raises:
        InputError: A tier is given twice, or what stands behind its name is no number from 1.
    """
    tiers: dict[str, int | None] = {}
    for name, *person in given:
        if len(person) > 1 or any(not (one.isascii() and one.isdecimal() and 0 < int(one[:9])) for one in person):
            fix = "A name with blanks stands in quotation marks."
            problem = f"expected NAME, or NAME and a person from 1, got {[name, *person]}"
            raise InputError(problem, field="--tier", fix=fix)
        if name in tiers:
            raise InputError(f"{name!r} is given twice", field="--tier")
        tiers[name] = int(person[0][:9]) - 1 if person else None
    return tiers


@exit_on_error
def main() -> None:
    """Print the agreement, and what can never agree."""
    args = parse_args()
    tiers = tiers_of(args.tier)
    found = read_segments(args.found).segments
    annotated = read_segments(args.annotated, tiers, args.video).segments
    both = agreement(found, annotated, args.iou)
    times = agreement(found, annotated, args.iou, names=False)
    false = both.predicted - both.matched
    print(f"{both.matched} of {both.annotated} annotated segments found, {false} of {both.predicted} false")
    print(f"F1 {both.f1:.3f}, precision {both.precision:.3f}, recall {both.recall:.3f}; times alone F1 {times.f1:.3f}")
    _by_name(found, annotated, args.iou)
    _unequal(found, annotated)


def _by_name(found: tuple, annotated: tuple, iou: float) -> None:
    names: dict[str, str] = {}
    for one in (*annotated, *found):
        names.setdefault(fold(one.name), one.name)
    print(f"{'annotated':>9} {'found':>6} {'false':>6}  name")
    for key, name in sorted(names.items()):
        here, there = ([one for one in side if fold(one.name) == key] for side in (found, annotated))
        own = agreement(here, there, iou)
        print(f"{own.annotated:9d} {own.matched:6d} {own.predicted - own.matched:6d}  {one_line(name)}")


def _unequal(found: tuple, annotated: tuple) -> None:
    """Say what can never agree: names of one side that are nearly one of the other, and persons of one side alone."""
    names = [{fold(one.name): one.name for one in side} for side in (found, annotated)]
    alone = [sorted(side[key] for key in side.keys() - other.keys()) for side, other in (names, names[::-1])]
    for name in alone[1]:
        if near := closest(name, alone[0]):
            text = (
                f"{name!r} is annotated and never found, {near[0]!r} is found and never annotated: are they the same?"
            )
            warnings.warn(one_line(text), stacklevel=1)
    persons = [Counter(one.person + 1 for one in side) for side in (found, annotated)]
    for person in sorted(persons[1].keys() - persons[0].keys()):
        text = f"person {person} has {persons[1][person]} annotated segments and no found one; found are those of "
        warnings.warn(text + (f"person {', '.join(map(str, sorted(persons[0])))}" if found else "nobody"), stacklevel=1)
