"""Flip, warp, rotate and zoom as one 3x3 homography a picture, and the one resampling that applies it.

Matrices map places in the output to places in the input, both in [-1, 1] (x right, y down, corners included).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# The symmetries of a square: bit 0 mirrors x, bit 1 mirrors y, bit 2 exchanges them afterwards.
_N_SYMMETRIES = 8


def identity(n: int) -> Tensor:
    """Float64 [n, 3, 3]."""
    return torch.eye(3, dtype=torch.float64).repeat(n, 1, 1)


def dihedral(k: Tensor) -> Tensor:
    """One of the eight symmetries for each of `k` (int64 [N], 0..7; 1 mirrors left and right)."""
    signs = 1.0 - 2.0 * torch.stack((k & 1, (k >> 1) & 1), dim=1).double()
    matrix = identity(len(k))
    matrix[:, 0, 0], matrix[:, 1, 1] = signs[:, 0], signs[:, 1]
    exchanged = matrix[:, [1, 0, 2]]
    return torch.where((k >= _N_SYMMETRIES // 2).view(-1, 1, 1), exchanged, matrix)


def rotation(degrees: Tensor, aspect: float) -> Tensor:
    """Turns about the centre. `degrees` float64 [N]; `aspect`: rows / columns, so that angles are true in pixels."""
    angle = torch.deg2rad(degrees)
    matrix = identity(len(degrees))
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 0, 1], matrix[:, 1, 0] = -angle.sin() * aspect, angle.sin() / aspect
    return matrix


def zoom(scale: Tensor, row_pct: Tensor, column_pct: Tensor) -> Tensor:
    """Enlarges by `scale`; the part kept lies at the given shares of what is left free. All float64 [N]."""
    matrix = identity(len(scale))
    free = 1.0 - 1.0 / scale
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1.0 / scale
    matrix[:, 0, 2], matrix[:, 1, 2] = free * (2.0 * column_pct - 1.0), free * (2.0 * row_pct - 1.0)
    return matrix


def symmetric_warp(magnitude: Tensor) -> Tensor:
    """Perspective that lengthens the four edges of the window by a share each, evenly at both ends.

    Args:
        magnitude: float64 [N, 4], of the right, left, bottom and top edge; negative shortens.
    """
    right, left, bottom, top = magnitude.unbind(dim=1)
    x = torch.stack((-1 - top, 1 + top, -1 - bottom, 1 + bottom), dim=1)
    y = torch.stack((-1 - left, -1 - right, 1 + left, 1 + right), dim=1)
    return homography(x, y)


def homography(x: Tensor, y: Tensor) -> Tensor:
    """The projective map of the corners (-1,-1), (1,-1), (-1,1), (1,1) to (x, y), each float64 [N, 4].

    Eight linear equations for the eight free entries (the ninth is 1): for each corner (u, v),
    a u + b v + c - g u x - h v x = x and d u + e v + f - g u y - h v y = y.
    """
    n = len(x)
    u = torch.tensor([-1.0, 1.0, -1.0, 1.0], dtype=torch.float64).expand(n, 4)
    v = torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64).expand(n, 4)
    one, zero = torch.ones_like(u), torch.zeros_like(u)
    of_x = torch.stack((u, v, one, zero, zero, zero, -u * x, -v * x), dim=2)
    of_y = torch.stack((zero, zero, zero, u, v, one, -u * y, -v * y), dim=2)
    entries = torch.linalg.solve(torch.cat((of_x, of_y), dim=1), torch.cat((x, y), dim=1).unsqueeze(2))
    return torch.cat((entries.squeeze(2), one[:, :1]), dim=1).view(n, 3, 3)


def compose(*matrices: Tensor) -> Tensor:
    """Their product, picture by picture: the last one is applied to the output's places first.

    Written as sums and not as a batched matrix product, whose rounding may depend on how many pictures there are.
    """
    result = matrices[0]
    for matrix in matrices[1:]:
        left, right = result.unbind(dim=2), matrix.unbind(dim=1)
        terms = [a.unsqueeze(2) * b.unsqueeze(1) for a, b in zip(left, right, strict=True)]
        result = terms[0] + terms[1] + terms[2]
    return result


def adjugate(matrices: Tensor) -> Tensor:
    """The inverse of each, but for a factor, which a homography does not have: float64 [N, 3, 3].

    In closed form and not by `linalg.inv`, whose rounding may depend on how many matrices there are.
    """
    a, b, c, d, e, f, g, h, i = matrices.reshape(-1, 9).unbind(dim=1)
    rows = (
        torch.stack((e * i - f * h, c * h - b * i, b * f - c * e), dim=1),
        torch.stack((f * g - d * i, a * i - c * g, c * d - a * f), dim=1),
        torch.stack((d * h - e * g, b * g - a * h, a * e - b * d), dim=1),
    )
    return torch.stack(rows, dim=1)


def moved_points(matrices: Tensor, points: Tensor) -> Tensor:
    """Where each picture's matrix sends its points: float32 [N, K, 2] of (x, y)."""
    m = matrices.float().to(points.device).view(-1, 9, 1)
    x, y = points.float().unbind(dim=-1)
    depth = m[:, 6] * x + (m[:, 7] * y + m[:, 8])
    across, down = m[:, 0] * x + (m[:, 1] * y + m[:, 2]), m[:, 3] * x + (m[:, 4] * y + m[:, 5])
    return torch.stack((across / depth, down / depth), dim=-1)


def grid(matrices: Tensor, rows: int, columns: int, device: torch.device) -> Tensor:
    """The place in the input of every pixel of the output, float32 [N, rows, columns, 2]."""
    m = matrices.float().to(device).view(-1, 9, 1, 1)
    across = torch.linspace(-1, 1, columns, device=device).view(1, 1, columns)
    down = torch.linspace(-1, 1, rows, device=device).view(1, rows, 1)
    depth = (m[:, 6] * across + (m[:, 7] * down + m[:, 8])).reciprocal_()
    places = torch.empty(len(m), rows, columns, 2, device=device)
    torch.mul(m[:, 0] * across + (m[:, 1] * down + m[:, 2]), depth, out=places[..., 0])
    torch.mul(m[:, 3] * across + (m[:, 4] * down + m[:, 5]), depth, out=places[..., 1])
    return places


def resample(x: Tensor, places: Tensor, padding: str = "reflection", mode: str = "bilinear") -> Tensor:
    """The values of `x`, float [N, C, H, W], at the places of `grid`: float [N, C, rows, columns]."""
    return F.grid_sample(x, places, mode=mode, padding_mode=padding, align_corners=True)
