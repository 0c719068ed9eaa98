"""Understanding of requests: tags of the sounds in a text, and texts that name no known sound.

Both are small models on the frozen text encoder. `run` trains and measures them.
"""
