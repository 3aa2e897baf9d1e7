"""Each example of the guide's page about Python, and of the package's README, runs.

Blocks of Python are programs, each in a file of its own; the comment `# file: NAME` names it. What
they print stands in the block of text that follows. Blocks of commands are not run here.
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest

import msup

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(msup.__file__)))
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
DOCUMENTS = ["docs/guide/python.md", "worker/python/README.md"]
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(document):
    """The programs of a document, each with what it prints, or None if that is not said."""
    with open(os.path.join(REPOSITORY, document)) as file:
        blocks = BLOCK.findall(file.read())
    found = []
    for kind, content in blocks:
        if kind == "python":
            found.append([content, None])
        elif found and found[-1][1] is None:
            found[-1][1] = content
    return found


class Guide(unittest.TestCase):
    def test_examples(self):
        count = 0
        for document in DOCUMENTS:
            for code, printed in examples(document):
                count += 1
                with self.subTest(document, code=code):
                    self.check(code, printed)
        self.assertGreaterEqual(count, 7)

    def check(self, code, printed):
        named = re.match(r"# file: (\S+)\n", code) or re.match(r"#!.*\n# file: (\S+)\n", code)
        with tempfile.TemporaryDirectory() as folder:
            for number in range(3):
                with open(os.path.join(folder, f"{number}.txt"), "w") as file:
                    file.write("word " * (number + 1))
            path = os.path.join(folder, named.group(1) if named else "example.py")
            with open(path, "w") as file:
                file.write(code)
            words = [sys.executable, path]
            if "@msup.worker" in code:
                os.chmod(path, 0o755)
                words = [sys.executable, "-m", "msup", "--no-journal", "-qk", "--worker", path]
                words += [":::", "0.txt", "1.txt", "2.txt"]
            folders = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
            environment = {**os.environ, "PYTHONPATH": PACKAGE, "PATH": folders}
            run = subprocess.run(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        if printed is not None:
            self.assertEqual(run.stdout, printed)


if __name__ == "__main__":
    unittest.main()
