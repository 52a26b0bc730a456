"""Build label vectors: class names by word vectors or a text encoder.

    semloss label-vectors --labels data/imigue_labels.txt --out data/imigue_glove.npz
    semloss label-vectors --labels labels.txt --vectors glove.6B.300d.txt --out vectors.npz
    semloss label-vectors --labels data/imigue_labels.txt --vectors shipped --out vectors.npz
    semloss label-vectors --labels labels.txt --vectors hash --out vectors.npz
    semloss label-vectors --labels labels.txt --vectors sentence:all-MiniLM-L6-v2 --template "a person {}" --out v.npz
    semloss label-vectors --labels labels.txt --vectors glove.6B.300d.txt --transform centred --out vectors.npz
    semloss label-vectors --labels labels.txt --vectors shipped --transform centred --out v.npz --picture v.png

SOURCE is a name of gensim's downloader, a local file (GloVe text, word2vec text or binary, each also gzipped, gensim
.kv), shipped: GloVe's vectors of the 48 words in iMiGUE's class names, which come with the package, or hash, hash:DIM,
hash:DIM:SEED: seeded random word vectors, which need no file and know no meaning.
sentence:NAME or sentence:FOLDER is a text encoder of sentence-transformers that is on this machine; --descriptions
gives it a table with the columns class and sentence, whose sentences are averaged, --template a sentence with {} for
the name.
--transform makes targets of the vectors: centred, whitened, orthonormal (the nearest perpendicular ones), simplex.
--picture draws the cosines between the classes, before and after the transforms side by side. It needs matplotlib.
"""

from pathlib import Path

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.drawing.cosines import draw_cosines
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.results import add_overwrite_option, guard_results, refuse_changed
from pyskl_semloss.semantic.class_names import parse_aliases, read_class_names
from pyskl_semloss.semantic.label_vectors import build_label_vectors, summary
from pyskl_semloss.semantic.sentence_vectors import PREFIX, fill_template, read_descriptions
from pyskl_semloss.semantic.targets import TARGETS, transform
from pyskl_semloss.semantic.word_vectors import DEFAULT_SOURCE


@exit_on_error
def main() -> None:
    """Build, save, and print a summary."""
    parser = argument_parser(__doc__)
    parser.add_argument("--labels", required=True, metavar="FILE", help="class names, one a line, in label order")
    parser.add_argument("--vectors", default=DEFAULT_SOURCE, metavar="SOURCE", help="default: %(default)s")
    parser.add_argument("--out", required=True, metavar="FILE.npz", help="the file to write")
    parser.add_argument(
        "--alias",
        action="append",
        default=[],
        metavar="WORD=WORDS",
        help="words to average in place of a word, as clap=hands or jogging=running,slowly; may be repeated",
    )
    parser.add_argument(
        "--oov", choices=("error", "skip"), default="error", help="words without a vector (default: %(default)s)"
    )
    texts = parser.add_mutually_exclusive_group()
    texts.add_argument("--descriptions", metavar="FILE.csv", help="sentences of the classes: columns class, sentence")
    texts.add_argument("--template", metavar="TEXT", help='a sentence for each class, as "a person {}"')
    parser.add_argument("--transform", nargs="+", default=[], metavar="NAME", help=f"of {', '.join(TARGETS)}, in order")
    parser.add_argument("--picture", metavar="FILE.png", help="draw the cosines between the classes")
    add_overwrite_option(parser)
    args = parser.parse_args()
    if args.picture is not None and Path(args.picture).suffix.lower() != ".png":
        raise InputError("expected a name that ends in .png", file=args.picture, field="--picture")

    names = read_class_names(args.labels)
    descriptions = None
    if args.descriptions is not None:
        descriptions = read_descriptions(args.descriptions, names)
    elif args.template is not None:
        descriptions = fill_template(args.template, names)
    if descriptions is not None and not args.vectors.startswith(PREFIX):
        option = "--template" if args.descriptions is None else "--descriptions"
        fix = f"Give a text encoder, --vectors {PREFIX}NAME_OR_FOLDER, or leave the option out."
        problem = f"word vectors know no sentences, and --vectors is {args.vectors!r}"
        raise InputError(problem, field=option, fix=fix)
    labels = build_label_vectors(
        names, args.vectors, aliases=parse_aliases(args.alias), oov=args.oov, descriptions=descriptions
    )
    matrices = {labels.source: labels.vectors}
    if args.transform:
        labels = transform(labels, args.transform)
        matrices[f"after {', '.join(args.transform)}"] = labels.vectors
    refuse_changed(args.out)
    if args.picture is not None:
        draw_cosines(matrices, labels.class_names, args.picture)
    with guard_results(args.out):
        labels.save(args.out)
    print(summary(labels))
    if args.picture is not None:
        say(f"drew the cosines between the classes in {args.picture}")
    say(f"wrote {labels.vectors.shape[0]} label vectors to {args.out}")
