from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import tiny_run
import torch
from torch import Tensor, nn

from training.pretraining.mixing import Mixture
from training.pretraining.networks import OnlineNetwork, TargetNetwork
from training.pretraining.objective import (
    Losses,
    Objective,
    label_divergence,
    normalised_squared_error,
    weighted_sum,
)
from training.pretraining.views import Views
from training.teacher.target import Taught

pytestmark = pytest.mark.usefixtures("narrow")

NATS_PER_UNIT = 3.0
GAMMA_HALF = {"gamma": [0.5, 0.5]}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def projections(seed: int, n: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 8, dtype=torch.float64, generator=generator)


# Equations 1 and 3: the error


def test_the_error_is_the_squared_distance_of_unit_vectors() -> None:
    """Both forms of equation 1."""
    prediction, target = projections(0), 5 * projections(1)
    distances, cosines = [], []
    for p, z in zip(prediction.tolist(), target.tolist(), strict=True):
        p_norm, z_norm = math.hypot(*p), math.hypot(*z)
        distances.append(sum((a / p_norm - b / z_norm) ** 2 for a, b in zip(p, z, strict=True)))
        inner = sum(a * b for a, b in zip(p, z, strict=True))
        cosines.append(2 - 2 * inner / (p_norm * z_norm))
    found = float(normalised_squared_error(prediction, target))
    assert found == pytest.approx(sum(distances) / 6, rel=1e-12)
    assert found == pytest.approx(sum(cosines) / 6, rel=1e-12)


def test_a_zero_prediction_costs_2_and_has_a_finite_gradient() -> None:
    zero = torch.zeros(2, 8, requires_grad=True)
    loss = normalised_squared_error(zero, projections(0, 2).float())
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 2
    assert zero.grad is not None
    assert zero.grad.isfinite().all()


# The two losses


def networks(loss: Mapping[str, object]) -> tuple[Objective, TargetNetwork]:
    """Make the networks of a recipe, in evaluation mode: then gamma alone is drawn.

    In float64, where no two frames are so near that the order of a sum decides on the maximum.
    """
    recipe = tiny_run.recipe(loss=GAMMA_HALF | dict(loss))
    state = tiny_run.state(recipe)
    # Otherwise the target would project a view as the online network does.
    state.target.projector.get_parameter("layers.3.weight").normal_(generator=generator())
    objective = Objective(state.online, recipe.loss)
    return objective.double().eval(), state.target.double().eval()


def views() -> Views:
    first, second = (tiny_run.log_mels(3, seed).double() for seed in (1, 2))
    return Views(first, second, torch.tensor(NATS_PER_UNIT).double())


def run(loss: Mapping[str, object]) -> tuple[Losses, OnlineNetwork, tuple[Tensor, Tensor]]:
    objective, target = networks(loss)
    pair = views()
    targets = target(pair.first, generator()), target(pair.second, generator())
    return objective(pair, targets, generator()), objective.online, targets


def encoder_inputs(loss: Mapping[str, object]) -> list[Tensor]:
    """Record the inputs of the online encoder: both views, then the mixtures."""
    objective, target = networks(loss)
    inputs: list[Tensor] = []
    objective.online.encoder.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    pair = views()
    targets = target(pair.first, generator()), target(pair.second, generator())
    objective(pair, targets, generator())
    return inputs


def difference_loss(online: OnlineNetwork, view: Tensor, target: Tensor) -> Tensor:
    """Equation 3 with gamma 0.5."""
    following = torch.cat([view[1:], view[:1]])
    mixture = (0.5 * following.exp() + 0.5 * view.exp()).log()
    remainder = online.encoder(mixture) - 0.5 * online.encoder(following)
    assert online.difference_predictor is not None
    prediction = online.difference_predictor(online.projector(remainder))
    return normalised_squared_error(prediction, target)


def gradient(loss: Tensor, network: nn.Module) -> Tensor:
    network.zero_grad()
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def test_a_single_direction_is_doubled() -> None:
    losses, online, targets = run({"symmetric": False})
    expected = 2 * difference_loss(online, views().first, targets[1])
    torch.testing.assert_close(losses.difference, expected)


def test_a_gradient_flows_through_the_subtracted_embedding_unless_stopped() -> None:
    flowing, online, targets = run({"symmetric": False, "stop_gradient": False})
    stopped, same, _ = run({"symmetric": False, "stop_gradient": True})
    torch.testing.assert_close(flowing.difference, stopped.difference)
    expected = gradient(2 * difference_loss(online, views().first, targets[1]), online)
    through = gradient(flowing.difference, online)
    torch.testing.assert_close(through, expected, rtol=1e-4, atol=1e-5)
    blocked = gradient(stopped.difference, same)
    assert (through - blocked).norm() > 0.01 * through.norm()


def test_the_mixture_is_of_normalised_values_or_of_power() -> None:
    view = views().first
    following = view.roll(-1, 0)
    (*_, found) = encoder_inputs({"symmetric": False})
    expected = (0.5 * following.exp() + 0.5 * view.exp()).log()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    (*_, found) = encoder_inputs({"symmetric": False, "mix_domain": "power"})
    nats = NATS_PER_UNIT
    power = 0.5 * (nats * following).exp() + 0.5 * (nats * view).exp()
    torch.testing.assert_close(found, power.log() / nats, rtol=1e-5, atol=1e-5)


def test_the_mixture_is_normalised_again_only_if_the_recipe_says_so() -> None:
    (*_, plain) = encoder_inputs({"symmetric": False})
    (*_, renormalised) = encoder_inputs({"symmetric": False, "renormalise": True})
    assert plain.std() < 0.9
    torch.testing.assert_close(renormalised, (plain - plain.mean()) / plain.std())


# The teacher losses

TEACHER = {"symmetric": False, "teacher": 0.5, "teacher_difference": 2.0}


def taught() -> Taught:
    random = generator()
    embedding = torch.randn(3, 1024, dtype=torch.float64, generator=random)
    scores = torch.rand(3, 521, dtype=torch.float64, generator=random) ** 8
    return Taught(embedding, scores, scores.mean(dim=0).logit())


def run_taught(
    loss: Mapping[str, object], pair: Views | None = None
) -> tuple[Losses, OnlineNetwork]:
    objective, target = networks(loss)
    pair = pair or views()
    targets = target(pair.first, generator()), target(pair.second, generator())
    return objective(pair, targets, generator(), taught()), objective.online


def mean_error(predictions: Tensor, targets: Tensor) -> float:
    errors = []
    for p, t in zip(predictions.tolist(), targets.tolist(), strict=True):
        inner = sum(a * b for a, b in zip(p, t, strict=True))
        errors.append(2 - 2 * inner / (math.hypot(*p) * math.hypot(*t)))
    return sum(errors) / len(errors)


@pytest.mark.usefixtures("any_teacher")
def test_one_head_predicts_the_teacher_from_views_and_from_the_remainder() -> None:
    losses, online = run_taught(TEACHER)
    assert online.teacher_predictor is not None
    first, second = views().first, views().second
    from_views = [online.teacher_predictor(online.encoder(view)) for view in (first, second)]
    expected = sum(mean_error(prediction, taught().embedding) for prediction in from_views)
    assert float(losses.teacher.detach()) == pytest.approx(expected, rel=1e-9)
    following = torch.cat([first[1:], first[:1]])
    mixture = (0.5 * following.exp() + 0.5 * first.exp()).log()
    left = online.encoder(mixture) - 0.5 * online.encoder(following)
    expected = 2 * mean_error(online.teacher_predictor(left), taught().embedding)
    assert float(losses.remainder.detach()) == pytest.approx(expected, rel=1e-9)
    total = 0.5 * losses.byol + 0.5 * losses.difference + 0.5 * losses.teacher
    expected = float((total + 2.0 * losses.remainder).detach())
    assert float(
        weighted_sum(losses, tiny_run.recipe(loss=TEACHER).loss).detach()
    ) == pytest.approx(expected)


@pytest.mark.usefixtures("any_teacher")
def test_the_teacher_can_judge_the_remainder_without_the_loss_of_the_paper() -> None:
    losses, online = run_taught(TEACHER | {"lambda": 0.0})
    assert online.difference_predictor is None
    assert float(losses.difference.detach()) == 0
    assert float(losses.remainder.detach()) > 0


# The label losses

LABELS = {"symmetric": False, "teacher_labels": 0.3, "teacher_labels_difference": 2.0}


def naive_divergence(logits: Tensor, scores: Tensor) -> float:
    """Sum over the classes ``p ln(p / q) + (1 - p) ln((1 - p) / (1 - q))``; 0 ln 0 is 0."""
    total = 0.0
    for row, wanted in zip(logits.tolist(), scores.tolist(), strict=True):
        for logit, p in zip(row, wanted, strict=True):
            q = 1 / (1 + math.exp(-logit))
            total += p * math.log(p / q) if p > 0 else 0.0
            total += (1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0
    return total / len(logits)


def test_the_label_loss_is_the_divergence_of_every_class() -> None:
    logits, scores = 3 * projections(0), projections(1).sigmoid()
    scores[0, :2] = torch.tensor([0.0, 1.0])
    found = float(label_divergence(logits, scores))
    assert found == pytest.approx(naive_divergence(logits, scores), rel=1e-12)
    assert found > 0
    assert float(label_divergence(scores[1:].logit(), scores[1:])) == pytest.approx(0, abs=1e-12)


def test_the_gradient_of_the_label_loss_is_the_error_of_the_scores() -> None:
    logits, scores = projections(0).requires_grad_(), projections(1).sigmoid()
    label_divergence(logits, scores).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, (logits.detach().sigmoid() - scores) / len(scores))


@pytest.mark.usefixtures("any_teacher")
def test_one_head_predicts_the_scores_from_views_and_from_the_remainder() -> None:
    losses, online = run_taught(LABELS)
    assert online.label_predictor is not None
    assert online.teacher_predictor is None
    _, scores, prior = taught()
    first, second = views().first, views().second
    following = torch.cat([first[1:], first[:1]])
    mixture = (0.5 * following.exp() + 0.5 * first.exp()).log()
    left = online.encoder(mixture) - 0.5 * online.encoder(following)
    of_views = [online.encoder(view) for view in (first, second)]
    expected = sum(
        naive_divergence(online.label_predictor(each) + prior, scores) for each in of_views
    )
    assert float(losses.labels.detach()) == pytest.approx(expected, rel=1e-9)
    expected = 2 * naive_divergence(online.label_predictor(left) + prior, scores)
    assert float(losses.labels_remainder.detach()) == pytest.approx(expected, rel=1e-9)
    assert float(losses.teacher) == float(losses.remainder) == 0
    total = 0.5 * losses.byol + 0.5 * losses.difference
    total = total + 0.3 * losses.labels + 2.0 * losses.labels_remainder
    found = weighted_sum(losses, tiny_run.recipe(loss=LABELS).loss)
    torch.testing.assert_close(found, total)


@pytest.mark.usefixtures("any_teacher")
def test_labels_of_the_remainder_are_asked_for_by_their_own_weight() -> None:
    losses, _ = run_taught({"lambda": 0.0, "teacher_labels": 1.0})
    assert float(losses.labels.detach()) > 0
    assert float(losses.labels_remainder) == float(losses.difference) == 0
    losses, _ = run_taught({"lambda": 0.0, "teacher_labels_difference": 1.0})
    assert float(losses.labels) == 0
    assert float(losses.labels_remainder.detach()) > 0


# Other mixtures


def remainders(loss: Mapping[str, object], pair: Views) -> tuple[list[Tensor], Objective]:
    """Compute what subtraction leaves in each direction."""
    objective, _ = networks(loss)
    embeddings = [objective.online.encoder(view) for view in (pair.first, pair.second)]
    mixtures = [objective.mix(pair, i, generator()) for i in range(2)]
    left = [objective.subtract(mixtures[i], embeddings[i], generator()) for i in range(2)]
    return left, objective


@pytest.mark.parametrize("domain", ["normalised", "power"])
def test_the_excerpt_is_mixed_in_and_the_crop_itself_is_subtracted(domain: str) -> None:
    others = tuple(tiny_run.log_mels(3, seed).double() for seed in (5, 6))
    pair = views()._replace(added=others)
    found, objective = remainders({"mix_domain": domain}, pair)
    encode, nats = objective.online.encoder, NATS_PER_UNIT if domain == "power" else 1.0
    for left, view, other in zip(found, (pair.first, pair.second), others, strict=True):
        mixed_in = torch.cat([other[1:], other[:1]])
        power = 0.5 * (nats * mixed_in).exp() + 0.5 * (nats * view).exp()
        expected = encode(power.log() / nats) - 0.5 * encode(torch.cat([view[1:], view[:1]]))
        torch.testing.assert_close(left, expected, rtol=1e-6, atol=1e-6)


def test_a_mixture_of_waveforms_is_taken_as_it_is_with_its_own_rates() -> None:
    rates = torch.tensor([0.1, 0.5, 0.9]).double()
    mixtures = tuple(Mixture(tiny_run.log_mels(3, seed).double(), rates) for seed in (5, 6))
    pair = views()._replace(mixtures=mixtures)
    found, objective = remainders({"mix_domain": "waveform"}, pair)
    encode = objective.online.encoder
    for left, view, (log_mel, _) in zip(found, (pair.first, pair.second), mixtures, strict=True):
        following = torch.cat([view[1:], view[:1]])
        expected = encode(log_mel) - rates[:, None] * encode(following)
        torch.testing.assert_close(left, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("domain", "nats"), [("normalised", 1.0), ("power", NATS_PER_UNIT)])
def test_a_level_ratio_sets_the_rate_by_the_powers_that_are_mixed(domain: str, nats: float) -> None:
    """The remainder of what stays over what is subtracted has the ratio, in the mixture itself."""
    loss = {"symmetric": False, "mix_domain": domain, "snr_db": [-7.0, -7.0]}
    objective, _ = networks(loss)
    pair = views()
    log_mel, gamma = objective.mix(pair, 0, generator())
    assert gamma.shape == (3,)
    for n in range(3):
        own = (1 - gamma[n]) * (nats * pair.first[n]).exp()
        added = gamma[n] * (nats * pair.first[(n + 1) % 3]).exp()
        assert 10 * math.log10(float(own.sum() / added.sum())) == pytest.approx(-7, abs=1e-4)
        torch.testing.assert_close((own + added).log() / nats, log_mel[n], rtol=1e-5, atol=1e-5)
