"""`train --multirun`: several runs, the table that they leave, studies, and jobs of a cluster."""
