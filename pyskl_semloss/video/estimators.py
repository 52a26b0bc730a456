"""Estimators by name: MediaPipe, or a factory of the user's own."""

from __future__ import annotations

import importlib
import os
import sys

from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.io.reading import reason
from pyskl_semloss.video.estimator import Estimator
from pyskl_semloss.video.mediapipe_holistic import COMPLEXITIES, mediapipe_holistic


def load_estimator(name: str, threads: int = 0) -> Estimator:
    """Make an estimator.

    Args:
        name: ``"mediapipe"``; ``"mediapipe-lite"`` or ``"mediapipe-heavy"`` for its other models of the body; or
            ``"package.module:factory"``, a function without arguments that returns an :class:`Estimator`, also of a
            module in the current folder.
        threads: Threads that MediaPipe may use; 0 leaves it to MediaPipe.

    Raises:
        InputError: There is none of that name, or the factory does not make one.
        HostError: A package that it needs is not installed.
    """
    if name in COMPLEXITIES:
        return mediapipe_holistic(COMPLEXITIES[name], threads)
    module, colon, factory = name.partition(":")
    if not colon or not module or not factory:
        names = ", ".join(COMPLEXITIES)
        fix = f"Known are {names}; an own one is named package.module:factory."
        raise InputError(f"there is no estimator {name!r}", field="estimator", fix=fix)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        estimator = getattr(importlib.import_module(module), factory)()
    except (HostError, InputError):
        raise
    except Exception as error:
        problem = f"{name!r} cannot be made ({type(error).__name__}: {reason(error)})"
        raise InputError(problem, field="estimator") from error
    if not isinstance(estimator, Estimator):
        fix = "It must return a pyskl_semloss.video.Estimator."
        raise InputError(f"{name!r} made a {type(estimator).__name__}", field="estimator", fix=fix)
    return estimator
