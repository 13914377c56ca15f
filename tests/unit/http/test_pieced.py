"""Documents pieced together from windows around a cursor."""

from __future__ import annotations

from nearfield.http.pieced import MAX_PIECES, NamedPiece, PiecedDocuments

LINES = [f"value_{number} = compute({number})" for number in range(100)]
WHOLE = "\n".join(LINES) + "\n"


def window(first: int, cursor: int, last: int) -> tuple[str, str]:
    """The lines before and from the cursor's, as clients send them."""
    return "\n".join(LINES[first:cursor]) + "\n", "\n" + "\n".join(LINES[cursor:last]) + "\n"


def test_a_window_that_moves_stays_in_one_document_whose_beginning_stays() -> None:
    documents = PiecedDocuments()
    first, _ = documents.at(*window(0, 40, 60))
    moved, offset = documents.at(*window(10, 41, 61))
    assert moved.key == first.key
    assert moved.text.startswith("\n".join(LINES[:41]))
    assert offset == len("\n".join(LINES[:41])) + 1
    back, _ = documents.at(*window(0, 30, 50))
    assert back.key == first.key
    assert LINES[60] in back.text


def test_typing_and_taking_it_back_is_one_document() -> None:
    documents = PiecedDocuments()
    before, after = window(0, 40, 60)
    first, _ = documents.at(before, after)
    typed, offset = documents.at(before + "return ", after)
    assert typed.key == first.key
    assert typed.text[:offset].endswith("return ")
    assert documents.at(before, after)[0] == first


def test_other_texts_are_other_documents() -> None:
    documents = PiecedDocuments()
    one, _ = documents.at(*window(0, 40, 60))
    other, _ = documents.at("import os\n\n\ndef f():\n    ", "\n")
    assert other.key != one.key
    assert documents.latest == other
    assert documents.at(*window(0, 40, 60))[0].key == one.key


def test_a_file_is_known_by_a_piece_that_was_sent_with_its_name() -> None:
    documents = PiecedDocuments()
    documents.named([NamedPiece("other.py", "\n".join(f"x{n} = {n}" for n in range(90)))])
    assert documents.at(*window(0, 40, 60))[0].name == ""
    documents.named([NamedPiece("values.py", "\n".join(LINES[20:50]))])
    assert documents.at(*window(0, 41, 60))[0].name == "values.py"
    # It keeps its name when the piece is no longer there.
    documents.named([NamedPiece(f"{n}.py", f"piece {n} of many others") for n in range(MAX_PIECES)])
    assert documents.at(*window(0, 42, 60))[0].name == "values.py"


def test_what_may_be_anywhere_shows_no_place() -> None:
    documents = PiecedDocuments()
    documents.at("}\n}\n}\n" + WHOLE, "")
    document, _ = documents.at("}\n}\n}\n}\n" + "\n".join(LINES[:90]), "")
    assert document.text.startswith("}\n}\n}\n}\n")
