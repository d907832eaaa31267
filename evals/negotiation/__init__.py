"""What agents achieve in repayment negotiations: models and scripts against the same debtors, compared in pairs."""
