"""Evaluation of the towers: recall beside baselines, words for differences, ablation.

`mixtures` and `holdout` make sets of scenes for it; `evaluate`, `phrases`, `arithmetic` and
`fulfilment` measure; `experiment` and `ablation` train, measure and summarise over seeds.
"""
