"""Variational autoencoders in PyTorch, as the programs beside this file measure them: perceptrons, Bernoulli likelihood,
one draw a row and the KL divergence in closed form; the importance bound in tiles of draws."""
import math

import torch
from torch import nn

ROWS, DIMENSIONS = 60000, 784
IMPORTANCE_ROWS, IMPORTANCE_DRAWS, IMPORTANCE_TILE = 100, 5000, 100


def binary_rows(device):
    return (torch.rand(ROWS, DIMENSIONS, device=device) < 0.2).float()


class Autoencoder(nn.Module):
    def __init__(self, hidden, latent, activation):
        super().__init__()
        self.encoder = self.stack([DIMENSIONS, *hidden, 2 * latent], activation)
        self.decoder = self.stack([latent, *reversed(hidden), DIMENSIONS], activation)

    @staticmethod
    def stack(widths, activation):
        layers = []
        for inputs, outputs in zip(widths, widths[1:]):
            layers += [nn.Linear(inputs, outputs), activation()]
        return nn.Sequential(*layers[:-1])

    def bound(self, x):
        mean, log_variance = self.encoder(x).chunk(2, 1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        logits = self.decoder(z)
        reconstruction = -nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
        return (reconstruction - kl) / len(x)

    def importance_tile(self, x, mean, log_variance):
        noise = torch.randn(IMPORTANCE_TILE, *mean.shape, device=x.device)
        z = mean + torch.exp(0.5 * log_variance) * noise
        logits = self.decoder(z.reshape(-1, mean.shape[1])).reshape(IMPORTANCE_TILE, *x.shape).float()
        log_x = (x * logits - nn.functional.softplus(logits)).sum(2)
        return torch.logsumexp(log_x + 0.5 * (noise.square() - z.square() + log_variance).sum(2), 0)

    def importance(self, x, tile=None):
        """`tile`: importance_tile, or what was compiled from it."""
        mean, log_variance = self.encoder(x).float().chunk(2, 1)
        parts = [(tile or self.importance_tile)(x, mean, log_variance).clone()
                 for _ in range(IMPORTANCE_DRAWS // IMPORTANCE_TILE)]
        return torch.logsumexp(torch.stack(parts), 0) - math.log(IMPORTANCE_DRAWS)
