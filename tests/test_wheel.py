"""A wheel built from the tree works where there is no tree."""

import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

TINY = [
    "data.train_size=300",
    "data.valid_size=4",
    "data.test_size=4",
    "tokenizer=char",
    "model=tiny",
    "model.d_model=16",
    "training.max_updates=2",
    "device=cpu",
    "threads=1",
    "run_dir=run",
]


def run(*command: str | Path, cwd: Path, stdin: str = "") -> str:
    """The standard output of a process that ends well, outside the environment of the tests."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    run(sys.executable, *build, cwd=folder)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a new environment that holds the wheel.

    The libraries are those of the tests' own environment, so that nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    python = folder / "bin" / "python"
    pip = ("-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    run(sys.executable, *pip, cwd=folder)
    (own,) = folder.glob("lib/*/site-packages")
    (own / "libraries.pth").write_text("".join(f"{path}\n" for path in site.getsitepackages()))
    return python.parent


def test_the_wheel_holds_code_configs_types_and_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, pattern in (("transformer", "*.py"), ("configs", "*.yaml")):
        files = {file.relative_to(ROOT) for file in (ROOT / folder).rglob(pattern)}
        inside = {str(file if folder == "transformer" else "transformer" / file) for file in files}
        assert inside <= names
    assert "transformer/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests", "configs", "scripts")) for name in names)


def test_the_installed_command_trains_and_translates_from_an_empty_folder(
    installed: Path, tmp_path: Path
) -> None:
    where = run(
        installed / "python", "-c", "import transformer; print(transformer.__file__)", cwd=tmp_path
    )
    assert Path(where).is_relative_to(installed.parent)
    assert "BLEU" in run(installed / "transformer", "train", *TINY, cwd=tmp_path)
    translate = ("translate", "checkpoint=run", "device=cpu", "threads=1")
    output = run(installed / "transformer", *translate, cwd=tmp_path, stdin="One.\n\nTwo.\n")
    assert output.count("\n") == 3
    assert [file.name for file in tmp_path.iterdir()] == ["run"]
