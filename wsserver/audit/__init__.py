"""The access audit: who watched or was refused which patient, by which right, and what operators did."""
