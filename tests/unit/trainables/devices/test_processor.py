"""Whether the processor computes in bfloat16, from descriptions as Linux gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainables.devices.processor import multiplies_bfloat16

X86 = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vme {} avx512f\n"
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd {} sve\n"


@pytest.mark.parametrize(
    ("text", "flag", "able"),
    [
        (X86, "amx_bf16", True),
        (X86, "avx512_bf16", True),
        (X86, "avx2", False),
        (X86, "not_amx_bf16x", False),
        (ARM, "bf16", True),
        (ARM, "fphp", False),
        ("", "", False),
    ],
)
def test_the_flags_of_the_processor_tell(text: str, flag: str, able: bool, tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text.format(flag))
    assert multiplies_bfloat16(file) is able


def test_without_a_description_it_is_assumed_not_to(tmp_path: Path) -> None:
    assert not multiplies_bfloat16(tmp_path / "none")
