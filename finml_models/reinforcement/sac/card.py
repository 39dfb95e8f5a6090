"""Soft actor-critic: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class SACHyperparameters(Hyperparameters):
    """Size of actor and critics, the replay buffer, and the temperature."""

    hidden: int = Field(64, ge=8, le=256, description="units a layer of actor and critics", json_schema_extra={"scale": "log"})
    layers: int = Field(2, ge=1, le=4, description="hidden layers of actor and critics")
    environment_steps: int = Field(
        60_000,
        ge=1_000,
        le=10_000_000,
        description="steps taken in the environment at 20 epochs; a training of fewer or more epochs takes its share",
        json_schema_extra={"scale": "log", "searched": False},
    )
    environments: int = Field(32, ge=1, le=512, description="copies of the environment, stepped together", json_schema_extra={"scale": "log"})
    updates: int = Field(2, ge=1, le=64, description="updates after each step of all copies; one a copy is the paper's", json_schema_extra={"scale": "log"})
    batch_size: int = Field(256, ge=16, le=2_048, description="transitions of an update", json_schema_extra={"scale": "log"})
    replay_size: int = Field(100_000, ge=1_000, le=1_000_000, description="transitions kept", json_schema_extra={"scale": "log"})
    warmup_steps: int = Field(1_000, ge=100, le=100_000, description="random steps before the first update", json_schema_extra={"scale": "log"})
    discount: float = Field(0.99, ge=0, le=1, description="gamma")
    target_rate: float = Field(0.005, ge=1e-4, le=1, description="tau, how fast the target critics follow", json_schema_extra={"scale": "log"})
    initial_temperature: float = Field(0.1, ge=1e-3, le=10, description="weight of the entropy at the start", json_schema_extra={"scale": "log"})
    automatic_temperature: bool = Field(True, description="tune the temperature to a target entropy; off, it stays at its start (ablation)")
    twin_critics: bool = Field(True, description="take the smaller of two critics; off, one critic (ablation)")
    normalise_observations: bool = Field(True, description="running mean and deviation, frozen after training and shipped; off is the ablation")
    normalise_rewards: bool = Field(True, description="divide rewards by the running deviation of their discounted sum, in training alone")


CARD = ModelCard(
    name="Soft actor-critic",
    description="Off-policy actor-critic that maximises reward plus entropy: twin critics with targets, a squashed Gaussian policy and an "
    "automatic temperature, in a batched market environment.",
    kinds=frozenset({Kind.MARKET}),
    objectives=frozenset({Objective.CONTROL}),
    hyperparameters=SACHyperparameters,
    strengths=(
        "Reuses its experience: needs fewer steps in the environment than PPO.",
        "Bounded continuous actions by construction, which suits participation rates.",
        "Explores by entropy that tunes itself.",
    ),
    weaknesses=(
        "Learns the simulator: what the environment gets wrong about impact and costs, the policy exploits.",
        "An update a step makes it slower by the clock than PPO where the environment is cheap.",
        "Critics overestimate or diverge under heavy-tailed rewards.",
        "Results differ between seeds; one seed shows nothing.",
    ),
    best_for=("execution with continuous participation", "expensive simulators"),
    latency_class=Level.LOW,
    data_requirements=Level.HIGH,
    explainability=Level.LOW,
    training=Training(minimum_samples=2_000, recommended_samples=100_000),
    deployment=Deployment(memory_mb=64),
    references=(
        Paper(
            title="Soft Actor-Critic: Off-Policy Maximum Entropy Deep Reinforcement Learning with a Stochastic Actor",
            year=2018,
            link="https://arxiv.org/abs/1801.01290",
        ),
        Paper(title="Soft Actor-Critic Algorithms and Applications", year=2018, link="https://arxiv.org/abs/1812.05905"),
    ),
    implementation="https://github.com/DLR-RM/stable-baselines3",
)
