"""Train a small network on made-up numbers: a place to begin.

It saves a checkpoint after every epoch and goes on from the last one, so that a run that was stopped loses little:

    python src/train.py --epochs 20
"""

import argparse
from pathlib import Path

import torch
from torch import nn

MODELS = Path(__file__).resolve().parent.parent / "models"


def make_data(rows: int = 1024) -> tuple[torch.Tensor, torch.Tensor]:
    """Replace this by what reads data/processed."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 8, generator=generator)
    y = x.sum(dim=1, keepdim=True) + 0.1 * torch.randn(rows, 1, generator=generator)
    return x, y


def train(epochs: int, models: Path = MODELS, device: str | None = None) -> float:
    """Train up to `epochs` epochs in all; return the last loss."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 1)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    checkpoint = models / "checkpoint.pt"
    first, loss = 0, float("nan")
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first, loss = saved["epoch"] + 1, saved["loss"]
        print(f"going on after epoch {saved['epoch']}")

    x, y = (tensor.to(device) for tensor in make_data())
    for epoch in range(first, epochs):
        for batch in torch.randperm(len(x), device=device).split(64):
            optimizer.zero_grad()
            error = nn.functional.mse_loss(model(x[batch]), y[batch])
            error.backward()
            optimizer.step()
            loss = error.item()
        save(checkpoint, epoch=epoch, loss=loss, model=model.state_dict(), optimizer=optimizer.state_dict())
        print(f"epoch {epoch}: loss {loss:.4f} on {device}")
    return loss


def save(path: Path, **state) -> None:
    """Write beside and rename: a stop half-way leaves the checkpoint before it whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    torch.save(state, beside)
    beside.replace(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train, and go on where it was stopped.")
    parser.add_argument("--epochs", type=int, default=10)
    train(parser.parse_args().epochs)
