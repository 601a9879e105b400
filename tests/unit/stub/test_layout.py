"""Where a function of KSR is, is answered by a file name."""

from KSR.mock.engine.behaviour import BEHAVIOURS


def test_the_behaviour_of_a_function_is_in_the_file_that_has_its_modules_name() -> None:
    for name, behaviour in BEHAVIOURS.items():
        module = name.rpartition(".")[0] or "core"
        assert behaviour.__module__ == f"KSR.mock.modules.{module}", name
