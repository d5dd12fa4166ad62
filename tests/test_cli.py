"""The command as such: help, exit codes, summary and info."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import refused, start

import cnn_core
from cnn_core import data
from cnn_core.cli import main
from cnn_core.models import MODELS


def test_help_and_usage(capsys):
    assert main(["--help"]) == 0
    assert "info" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert cnn_core.__version__ in capsys.readouterr().out
    for command in ("train", "evaluate", "predict", "summary", "bench", "info", "new-kernel"):
        assert main([command, "--help"]) == 0
    assert main([]) == 2
    assert main(["fly"]) == 2
    assert main(["train", "imagenet"]) == 2
    assert main(["train", "--epochs", "many"]) == 2


def test_debug_shows_where_an_error_came_from():
    with pytest.raises(ValueError, match="lr"):
        main(["train", "--lr", "0", "--debug"])


def test_interrupted_anywhere_is_130(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("cnn_core.cli.info.run", interrupted)
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "\ncnn-core: interrupted\n"


def test_a_full_memory_is_one_line(monkeypatch, capsys):
    def exhausted(args):
        raise MemoryError("Unable to allocate 50 GiB")

    monkeypatch.setattr("cnn_core.cli.info.run", exhausted)
    assert refused(capsys, "info") == "not enough memory: Unable to allocate 50 GiB"


def test_a_reader_that_goes_away_is_no_error():
    process = start("summary", "resnet20")
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait(timeout=60)
    process.stderr.close()
    assert process.returncode == 0


def test_python_m_is_the_command():
    code = f"import sys, runpy; sys.path[:0] = {sys.path!r}; sys.argv = ['cnn_core', 'info']; "
    done = subprocess.run(
        [sys.executable, "-c", code + "runpy.run_module('cnn_core', run_name='__main__')"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("cnn_core")


def test_importing_the_command_is_light():
    heavy = ["matplotlib", "PIL", "tqdm", "cnn_core.data", "cnn_core.training", "cnn_core.models"]
    heavy += ["cnn_core.bench"]
    code = f"import sys; sys.path[:0] = {sys.path!r}; import cnn_core.cli; "
    code += f"assert not [name for name in {heavy!r} if name in sys.modules]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_summary_of_networks_by_name_and_of_runs(trained, capsys):
    for name in MODELS:
        assert main(["summary", name]) == 0
        assert "total" in capsys.readouterr().out
    assert main(["summary", "simple", "--input-shape", "3x32x32", "--batch-size", "2", "--classes", "7"]) == 0
    table = capsys.readouterr().out
    assert "input (2, 3, 32, 32)" in table
    assert "(2, 7)" in table
    assert main(["summary", str(trained)]) == 0
    assert "85,066" in capsys.readouterr().out


def test_summary_refuses(trained, capsys):
    assert "nor one of digits, simple" in refused(capsys, "summary", "nothing")
    assert "its classes are fixed" in refused(capsys, "summary", trained, "--classes", "3")
    assert "expects 1024 inputs" in refused(capsys, "summary", trained, "--input-shape", "1,9,12")
    assert main(["summary", "simple", "--input-shape", "28,28"]) == 2


def test_info(capsys):
    assert main(["info"]) == 0
    table = capsys.readouterr().out
    assert f"cnn_core         {cnn_core.__version__}\n" in table
    assert main(["info", "--json"]) == 0
    config = json.loads(capsys.readouterr().out)
    assert config == cnn_core.show_config(as_dict=True) | {"memory_in_use": config["memory_in_use"]}
    assert config["isa_level"] in config["isa_levels"]
    assert config["threads"] == cnn_core.get_num_threads()
    assert Path(config["data_folder"]) == data.data_folder()
    assert config["numpy"] == np.__version__
