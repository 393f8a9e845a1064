"""Engine that runs tasks with Apache Beam, on any of its runners.

    Create(positions of the tasks) | Reshuffle | Map(run the task, store its result)

Pipelines return nothing, and a pipeline's description may not be large, so tasks and results go
through a scratch folder that the launcher and the workers share: the tasks in one file, of which
a worker reads a few, and one file a result. What a function raises is a result as well: runners
wrap exceptions, each in its own way, or turn them into text, and retry what cannot succeed.
"""

import functools
import io
import os
import pickle
import shlex
import uuid
from collections.abc import Callable, Sequence
from typing import Any, cast

from pipeline.errors import OptionError, UserError
from pipeline.files import (
    absolute_path,
    exists,
    join,
    make_directory,
    open_file,
    read_bytes,
    remove_tree,
    whole_file,
)
from pipeline.preparing.engines import Advance, Result, Task

_TASKS = "tasks"  # pickled (function, tasks), one after the other
_STOP = "stop"  # exists as soon as one task has failed
_TASKS_A_CHUNK = 64  # they share what they refer to, such as the vocabulary


def check_options(options: Sequence[str]) -> None:
    """Refuses what cannot work before anything is read.

    Raises:
        UserError: Apache Beam is not installed.
        OptionError: Beam has no such option or runner.
    """
    _pipeline_options(options)


def run(
    function: Callable[[Task, Advance], Result],
    tasks: Sequence[Task],
    *,
    advance: Advance,
    options: Sequence[str],
    folder: str | os.PathLike[str],
) -> list[Result]:
    """Returns `[function(task, advance) for task in tasks]`, computed by a Beam runner.

    Args:
        function: importable where the workers run; it may be called twice for a task.
        tasks: picklable.
        advance: is called here, once, with the bytes that were done. While the pipeline runs,
            they are its counter `textreel/bytes`, which the runners' pages show.
        options: Beam's own, such as `--runner=DirectRunner`.
        folder: where to keep tasks and results meanwhile, in a folder that is removed again; must
            be the same for the workers. Beam's `--temp_location` takes its place.

    Raises:
        UserError, OSError: what `function` raised.
        UserError: no Apache Beam, an option that it lacks, or results that do not arrive.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import GoogleCloudOptions

    pipeline_options = _pipeline_options(options)
    place = pipeline_options.view_as(GoogleCloudOptions).temp_location or os.fspath(folder)
    scratch = join(absolute_path(place), f".textreel-{uuid.uuid4().hex}")
    make_directory(scratch)
    try:
        positions = _store_tasks(scratch, function, tasks)
        with beam.Pipeline(options=pipeline_options) as pipeline:
            _ = (
                pipeline
                | "tasks" >> beam.Create(positions)
                | "spread" >> beam.Reshuffle()
                | "run" >> beam.Map(_run_stored, scratch)
            )
        return _stored_results(scratch, len(tasks), advance)
    finally:
        remove_tree(scratch)


def _pipeline_options(options: Sequence[str]) -> Any:
    try:
        import apache_beam  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "apache_beam":
            raise  # Beam is there; what it needs is not
        raise UserError('`engine` beam needs Apache Beam: pip install "textreel[beam]"') from error
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from apache_beam.runners.portability.portable_runner import PortableRunner
    from apache_beam.runners.runner import create_runner

    parsed = PipelineOptions(list(options))
    try:
        # Runners bring options of their own, which exist once the runner is imported.
        runner = create_runner(
            parsed.view_as(StandardOptions).runner or StandardOptions.DEFAULT_RUNNER
        )
        known = parsed.get_all_options().keys()
        unknown = parsed.get_all_options(retain_unknown_options=True).keys() - known
    except (ValueError, ImportError, AttributeError) as error:
        raise OptionError(f"Apache Beam: {error} (in `{shlex.join(options)}`)") from error
    except SystemExit as error:  # argparse has said which value is wrong
        raise OptionError(f"Apache Beam refuses `{shlex.join(options)}`") from error
    # A job server has options that are not known here, and checks them itself.
    if unknown and not isinstance(runner, PortableRunner):
        listed = ", ".join(f"--{name}" for name in sorted(unknown))
        raise OptionError(f"Apache Beam has no option {listed} (in `{shlex.join(options)}`)")
    return parsed


def _store_tasks(
    scratch: str, function: Callable[[Task, Advance], Result], tasks: Sequence[Task]
) -> list[tuple[int, int, int]]:
    """Writes the tasks; returns where: (byte offset, index in the chunk, index of the task)."""
    positions = []
    offset = 0
    with whole_file(join(scratch, _TASKS)) as file:
        for start in range(0, len(tasks), _TASKS_A_CHUNK):
            chunk = tasks[start : start + _TASKS_A_CHUNK]
            positions += [(offset, index, start + index) for index in range(len(chunk))]
            content = pickle.dumps((function, chunk))
            file.write(content)
            offset += len(content)
    return positions


@functools.lru_cache(maxsize=1)  # a worker often has several tasks of a chunk
def _stored_chunk(scratch: str, offset: int) -> tuple[Callable[..., Any], Sequence[Any]]:
    with open_file(join(scratch, _TASKS)) as raw, io.BufferedReader(cast(Any, raw)) as file:
        file.seek(offset)
        function, tasks = pickle.load(file)
    return function, tasks


def _run_stored(position: tuple[int, int, int], scratch: str) -> None:
    """In a worker: runs one task and stores (error, result, bytes done)."""
    from apache_beam.metrics import Metrics

    if exists(join(scratch, _STOP)):
        return
    offset, index_in_chunk, index = position
    function, tasks = _stored_chunk(scratch, offset)
    counter = Metrics.counter("textreel", "bytes")
    num_bytes = 0

    def advance(more: int) -> None:
        nonlocal num_bytes
        num_bytes += more
        counter.inc(more)

    error, result = None, None
    try:
        result = function(tasks[index_in_chunk], advance)
    except (UserError, OSError) as raised:
        error = raised
    _store(join(scratch, _result_name(index)), (error, result, num_bytes))
    if error is not None:
        _store(join(scratch, _STOP), index)


def _store(path: str, content: Any) -> None:
    """Writes a file whole or not at all, also where a task runs twice at once."""
    with whole_file(path, temporary=f"{path}.{uuid.uuid4().hex}") as file:
        file.write(pickle.dumps(content))


def _stored_results(scratch: str, num_tasks: int, advance: Advance) -> list[Any]:
    def load(name: str) -> Any:
        return pickle.loads(read_bytes(join(scratch, name)))

    if exists(join(scratch, _STOP)):
        error, _, _ = load(_result_name(load(_STOP)))
        raise error
    results = []
    for index in range(num_tasks):
        name = _result_name(index)
        try:
            _, result, num_bytes = load(name)
        except FileNotFoundError as error:
            raise UserError(
                f"the Beam workers left no result in {scratch}; name storage that they share with "
                "this machine: `--temp_location` after `--`, and for `--output`"
            ) from error
        results.append(result)
        advance(num_bytes)
    return results


def _result_name(index: int) -> str:
    return f"result-{index:06d}"
