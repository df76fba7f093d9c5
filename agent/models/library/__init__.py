"""The models on this machine and how they come here.

What is there: gguf.py reads a file's header, facts.py says what it means; huggingface.py,
lm_studio.py, ollama.py and own_directory.py know where each program keeps models (places.py), and
catalogue.py puts them together under names. memory_needs.py says what fits, recommended.py what is
worth getting. How one comes: wanted.py reads what a person asked for, hub.py and choice.py find the
files, download.py fetches them. What one can: probe.py tries it, probes.py keeps the result.
"""
