"""fail2ban: the chain f2b-sshd, the jump to it, and a rule for each banned address."""
