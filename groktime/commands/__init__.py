"""The commands, a module each, in the order of `groktime --help`.

A module imports what its command needs when the command runs, so that none pays for another.
"""

from __future__ import annotations

from groktime.commands import (
    check,
    compare,
    explore,
    figure,
    forecast,
    import_,
    measure,
    predict,
    recommend,
    sample,
    sample_path,
    tasks,
    train,
    whatif,
)

COMMANDS = {
    module.COMMAND.name: module.COMMAND
    for module in (
        forecast,
        predict,
        whatif,
        recommend,
        sample,
        sample_path,
        train,
        import_,
        measure,
        check,
        compare,
        explore,
        figure,
        tasks,
    )
}
