"""AWS: what can be harmed, healed and restored in an account; ``access`` alone knows boto3."""
