"""Pairs of clips that differ by one or two changes: drawn, rendered and embedded (APwD pairs).

`recipe` says what a scene is made of, `pool` finds its sources in a manifest, `draw` draws pairs,
`render` mixes them and `generate` embeds them into a folder that `load` reads. `apwd` reads the
official release instead.
"""
