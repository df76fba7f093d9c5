"""How would mnemon talk to models with these chat templates? One line for each file of a folder.

    python scripts/try_templates.py FOLDER

Prints the style of calling that was chosen and what had to be worked round; exits 1 if a template
cannot be used at all. llama.cpp keeps many in models/templates/.
"""

import sys
from collections import Counter
from pathlib import Path

from agent.errors import ModelUnavailable
from agent.models.chat import Chat
from agent.models.chat_template import ChatTemplate


def main() -> int:
    """Try every template in the folder."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    styles: Counter[str] = Counter()
    for path in sorted(Path(sys.argv[1]).glob("*.jinja")):
        style, remark = tried(path)
        styles[style] += 1
        print(f"{path.stem:50} {style:14} {remark}")
    print(", ".join(f"{style} {count}" for style, count in styles.most_common()))
    return 1 if styles["refused"] else 0


def tried(path: Path) -> tuple[str, str]:
    """Give the style, or `refused`, and a remark."""
    try:
        chat = Chat(ChatTemplate(path.read_text("utf-8"), "<s>", "</s>"), [])
    except ModelUnavailable as error:
        return "refused", str(error)
    remarks = (
        ("system message in the first turn", chat.form.system_in_user),
        ("turns made to alternate", chat.form.alternating),
    )
    return chat.style, ", ".join(text for text, holds in remarks if holds)


if __name__ == "__main__":
    sys.exit(main())
