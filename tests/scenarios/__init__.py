"""The five cases on real servers: each has a patient whose remediation helps, and one whose remediation does not."""
