"""Results pages and model cards: rows of results files, claims, plots, and Markdown templates.

Page modules compute plain values and hand them to ``render``; the sentences and tables are in
``templates/``. Uses the recipes and the tables of tasks, and reads results files only.
"""
