"""A short run learns something, and a second one goes on from it."""

from src.train import train


def test_a_run_goes_on_where_it_was(tmp_path, capsys):
    first = train(2, models=tmp_path, device="cpu")
    second = train(20, models=tmp_path, device="cpu")
    assert second < first
    assert "going on after epoch 1" in capsys.readouterr().out
