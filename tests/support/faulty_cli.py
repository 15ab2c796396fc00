"""`python -m tests.support.faulty_cli` is `assay` with faults.

Its workers obey the columns `_wait` and `_fault` of replayed curves; its driver dies where `tests.support.deaths`
is told.
"""

from unittest.mock import patch

from search.cli import main
from tests.support.deaths import awaited_death
from tests.support.faults import FaultyTrainable
from trainables.worker import trainable

if __name__ == "__main__":
    with patch.object(trainable, "TrainingTrainable", FaultyTrainable), awaited_death():
        main()
