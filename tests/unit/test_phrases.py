"""Sentences about chains of waits."""

from peepsd.core import phrases
from peepsd.core.nodes import Node


def tasks(count: int) -> list[Node]:
    return [Node(f"task:{n}", "task", "", "", attrs={"name": f"t{n}"}) for n in range(count)]


def test_a_short_chain_is_told_whole() -> None:
    told = phrases.chain_sentence(tasks(30))
    assert all(f"task 't{n}'" in told for n in range(30))


def test_the_middle_of_a_long_chain_is_counted() -> None:
    told = phrases.chain_sentence(tasks(1000))
    shown = [n for n in range(1000) if f"task 't{n}'" in told]
    assert shown == [*range(15), *range(985, 1000)]
    assert "task 't14', and so on through 970 others, which waits for task 't985'" in told


def test_a_long_circle_still_closes() -> None:
    assert phrases.cycle_sentence(tasks(1000)).endswith("which waits for task 't0' again")


def test_an_end_of_a_channel_without_a_name_is_told_without_quotes() -> None:
    end = Node("rx:1", "rx", "", "", label="a receiving end")
    assert phrases.title(end) == "a receiving end of the channel"


def test_sockets_on_the_way_are_told_with_whoever_serves_them() -> None:
    path = [
        Node("task:a", "task", "", ""),
        Node("socket:1", "socket", "", "", attrs={"name": "tcp:1.2.3.4:5>6.7.8.9:80"}),
        Node("socket:2", "socket", "", "", attrs={"name": "tcp:6.7.8.9:80>1.2.3.4:5"}),
        Node("task:b", "task", "", ""),
        Node("socket:3", "socket", "", "", attrs={"name": "tcp:6.7.8.9:81>9.9.9.9:443"}),
    ]
    assert phrases.chain_sentence(path) == (
        "task 'a' waits, over the connection 1.2.3.4:5 to 6.7.8.9:80, for task 'b',"
        " which waits for socket 'tcp:6.7.8.9:81>9.9.9.9:443'"
    )
