"""How well the check tells mis-selling from good selling, on scripted calls that were labelled before the rules."""
