"""What is known of a connection."""

from workbench import Bench


def test_user_and_role_are_always_those_of_the_principal() -> None:
    bench = Bench()
    one, _ = bench.connect("u1", "doctor", 7)
    metadata = bench.metadata(one)
    assert (metadata.user_id, metadata.role, metadata.handle) == ("u1", "doctor", metadata.link.handle)
    other = bench.metadata(bench.connect("u2", "nurse")[0])
    metadata.principal = other.principal
    assert (metadata.user_id, metadata.role) == ("u2", "nurse")


def test_a_new_connection_has_no_history() -> None:
    bench = Bench()
    metadata = bench.metadata(bench.connect()[0])
    assert (metadata.faults, metadata.binary_faults, metadata.rtt) == (0, 0, None)
    assert not metadata.expiry_warned
    assert metadata.held is None
    assert bench.manager.subscription_manager.count(metadata) == 0
    assert metadata.connected_at == bench.clock.monotonic()


def test_its_text_form_names_neither_user_nor_patient() -> None:
    bench = Bench()
    metadata = bench.metadata(bench.connect("secret-user", "doctor", "secret-patient")[0])
    assert "secret" not in f"{metadata!r} {metadata}"


def test_it_has_no_room_for_anything_else() -> None:
    bench = Bench()
    assert not hasattr(bench.metadata(bench.connect()[0]), "__dict__")
