"""Compare predicted segments with annotations by hand, name by name.

semloss compare-segments predictions/interview.csv by_hand.eaf
semloss compare-segments predictions/interview.csv by_hand.eaf --tier "gesture Ann" 1 --tier "gesture Bob" 2
Both are tables with start, end (s) and name, or ELAN files; see docs/predict.md.
"""

import argparse
import warnings
from collections import Counter

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.errors import InputError, escape_control_characters
from pyskl_semloss.io.reading import closest_names, fold_name
from pyskl_semloss.segments.agreement import agreement
from pyskl_semloss.segments.files import read_segments


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("predicted", metavar="FOUND", help="segments of semloss predict, .csv or .eaf")
    parser.add_argument("annotated", metavar="ANNOTATED", help="annotations by hand, .csv or .eaf")
    parser.add_argument(
        "--tier", nargs="+", action="append", default=[], metavar=("NAME", "PERSON"),
        help="tier of ANNOTATED and, of several, the number of its person from 1; may be given several times",
    )  # fmt: skip
    parser.add_argument("--video", default="", metavar="NAME", help="linked video of ANNOTATED whose times count")
    parser.add_argument("--iou", type=float, default=0.5, help="least intersection over union (default: 0.5)")
    return parser.parse_args()


def tiers_of(given: list[list[str]]) -> dict[str, int | None]:
    """Tier name -> person, from 0, or None where none is given.

    Raises:
        InputError: A tier is given twice, or its person is no number from 1.
    """
    tiers: dict[str, int | None] = {}
    for name, *person in given:
        if len(person) > 1 or any(not (text.isascii() and text.isdecimal() and 0 < int(text[:9])) for text in person):
            fix = "A name with blanks stands in quotation marks."
            problem = f"expected NAME, or NAME and a person from 1, got {[name, *person]}"
            raise InputError(problem, field="--tier", fix=fix)
        if name in tiers:
            raise InputError(f"{name!r} is given twice", field="--tier")
        tiers[name] = int(person[0][:9]) - 1 if person else None
    return tiers


@exit_on_error
def main() -> None:
    """Print the agreement; warn of names and persons that cannot agree."""
    args = parse_args()
    tiers = tiers_of(args.tier)
    predicted = read_segments(args.predicted).segments
    annotated = read_segments(args.annotated, tiers, args.video).segments
    both = agreement(predicted, annotated, args.iou)
    times = agreement(predicted, annotated, args.iou, names=False)
    false = both.predicted - both.matched
    print(f"{both.matched} of {both.annotated} annotated segments found, {false} of {both.predicted} false")
    print(f"F1 {both.f1:.3f}, precision {both.precision:.3f}, recall {both.recall:.3f}; times alone F1 {times.f1:.3f}")
    _by_name(predicted, annotated, args.iou)
    _unequal(predicted, annotated)


def _by_name(predicted: tuple, annotated: tuple, iou: float) -> None:
    names: dict[str, str] = {}
    for segment in (*annotated, *predicted):
        names.setdefault(fold_name(segment.name), segment.name)
    print(f"{'annotated':>9} {'found':>6} {'false':>6}  name")
    for key, name in sorted(names.items()):
        here, there = ([each for each in side if fold_name(each.name) == key] for side in (predicted, annotated))
        own = agreement(here, there, iou)
        false = own.predicted - own.matched
        print(f"{own.annotated:9d} {own.matched:6d} {false:6d}  {escape_control_characters(name)}")


def _unequal(predicted: tuple, annotated: tuple) -> None:
    """Warn of names that differ by little between the sides, and of persons that only the annotation has."""
    names = [{fold_name(each.name): each.name for each in side} for side in (predicted, annotated)]
    alone = [sorted(side[key] for key in side.keys() - other.keys()) for side, other in (names, names[::-1])]
    for name in alone[1]:
        if near := closest_names(name, alone[0]):
            text = (
                f"{name!r} is annotated and never found, {near[0]!r} is found and never annotated: are they the same?"
            )
            warnings.warn(escape_control_characters(text), stacklevel=1)
    persons = [Counter(each.person + 1 for each in side) for side in (predicted, annotated)]
    for person in sorted(persons[1].keys() - persons[0].keys()):
        seen = f"person {', '.join(map(str, sorted(persons[0])))}" if predicted else "nobody"
        text = (
            f"person {person} has {persons[1][person]} annotated segments and no found one; found are those of {seen}"
        )
        warnings.warn(text, stacklevel=1)
