import json

from wsserver.cli.json_line import json_line, one_line


def test_json_is_put_on_one_line_without_changing_it_or_reaching_the_terminal() -> None:
    document = {"a": "é\x9b31m\u2028\u202e\x7f", "b": [1.0, 2]}
    text = json.dumps(document, ensure_ascii=False, indent=2)
    line = one_line(text)
    assert json.loads(line) == document
    assert line.isprintable()
    assert "é" in line


def test_a_document_is_written_the_same_way() -> None:
    assert json_line({"a": ["\x9b\u202e", 1.5, None]}) == '{"a":["\\u009b\\u202e",1.5,null]}'
