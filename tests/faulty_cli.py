"""`python -m tests.faulty_cli` is `assay` whose workers obey the columns `wait` and `fault` of replayed curves."""

from unittest.mock import patch

from search.cli import main
from tests.faults import FaultyTrainable
from trainables.worker import trainable

if __name__ == "__main__":
    with patch.object(trainable, "TrainingTrainable", FaultyTrainable):
        main()
