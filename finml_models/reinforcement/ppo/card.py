"""Proximal policy optimisation: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class PPOHyperparameters(Hyperparameters):
    """Size of policy and value network, and the update's terms."""

    hidden: int = Field(64, ge=8, le=256, description="units a layer of policy and value network", json_schema_extra={"scale": "log"})
    layers: int = Field(2, ge=1, le=4, description="hidden layers of policy and value network")
    environment_steps: int = Field(
        400_000,
        ge=1_000,
        le=50_000_000,
        description="steps taken in the environment at 20 epochs; a training of fewer or more epochs takes its share",
        json_schema_extra={"scale": "log", "searched": False},
    )
    environments: int = Field(64, ge=1, le=512, description="copies of the environment, stepped together", json_schema_extra={"scale": "log"})
    rollout_length: int = Field(64, ge=16, le=2_048, description="steps of each copy between updates", json_schema_extra={"scale": "log"})
    update_epochs: int = Field(5, ge=1, le=30, description="passes over a rollout")
    minibatches: int = Field(8, ge=1, le=64, description="parts into which a rollout is cut; the last may be shorter")
    clip_range: float = Field(0.2, ge=0.01, le=1, description="how far the probability ratio may leave 1; 1 hardly clips (ablation)")
    discount: float = Field(1.0, ge=0, le=1, description="gamma; 1 weighs all steps of an episode alike, as its cost does")
    gae_lambda: float = Field(0.8, ge=0, le=1, description="lambda of the generalised advantage estimate")
    entropy_coefficient: float = Field(0.0, ge=0, le=0.1, description="weight of the entropy bonus")
    value_coefficient: float = Field(0.5, ge=0, le=2, description="weight of the value loss")
    initial_noise: float = Field(0.3, ge=0.01, le=2, description="standard deviation of the exploration at the start, for actions of -1 to 1")
    state_dependent_noise: bool = Field(False, description="generalised state-dependent exploration (Raffin et al. 2021), drawn anew every four steps")
    anneal: bool = Field(True, description="let the learning rate fall linearly to a twentieth")
    normalise_observations: bool = Field(True, description="running mean and deviation, frozen after training and shipped; off is the ablation")
    normalise_rewards: bool = Field(True, description="divide rewards by the running deviation of their discounted sum, in training alone")


CARD = ModelCard(
    name="Proximal policy optimisation",
    description="On-policy actor-critic that improves a stochastic policy in clipped steps, with generalised advantages, in a batched market environment.",
    kinds=frozenset({Kind.MARKET}),
    objectives=frozenset({Objective.CONTROL}),
    hyperparameters=PPOHyperparameters,
    strengths=(
        "Optimises the decision's own reward, costs included, instead of a forecast.",
        "Stable over a wide range of settings for a policy-gradient method.",
        "Uses many environments in parallel.",
    ),
    weaknesses=(
        "Learns the simulator: what the environment gets wrong about impact and costs, the policy exploits.",
        "Results differ between seeds; one seed shows nothing.",
        "On-policy: throws its experience away and needs far more steps than SAC.",
        "Closed forms (Almgren-Chriss, minimum variance) are hard to beat where their assumptions hold.",
    ),
    best_for=("execution with a realistic simulator", "allocation with costs and constraints that a convex optimiser cannot take"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.LOW,
    training=Training(minimum_samples=500, recommended_samples=5_000),
    deployment=Deployment(memory_mb=64),
    references=(
        Paper(title="Proximal Policy Optimization Algorithms", year=2017, link="https://arxiv.org/abs/1707.06347"),
        Paper(title="High-Dimensional Continuous Control Using Generalized Advantage Estimation", year=2016, link="https://arxiv.org/abs/1506.02438"),
        Paper(title="Smooth Exploration for Robotic Reinforcement Learning", year=2021, link="https://arxiv.org/abs/2005.05719"),
        Paper(title="Deep Reinforcement Learning that Matters", year=2018, link="https://arxiv.org/abs/1709.06560"),
    ),
    implementation="https://github.com/DLR-RM/stable-baselines3",
)
