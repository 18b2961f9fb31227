from chammal_kit.proof import Proof


def test_nothing_is_proven_before_the_first_success() -> None:
    assert not Proof(10, clock=lambda: 5.0).fresh


def test_a_success_proves_for_so_long_and_no_longer() -> None:
    now = 100.0
    proof = Proof(10, clock=lambda: now)
    proof.renew()
    now = 109.9
    assert proof.fresh
    now = 110.0
    assert (proof.fresh, proof.age) == (False, 10.0)
