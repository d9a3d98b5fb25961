"""Docker: its chains DOCKER, DOCKER-USER and DOCKER-ISOLATION-STAGE-1, and the jumps to them."""
