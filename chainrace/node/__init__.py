"""One node over ssh: commands, files, and the agent that races on it."""

import logging

# python-vagrant warns at its import where there is no Vagrant yet; the lab says so itself.
logging.getLogger("vagrant").setLevel(logging.ERROR)
