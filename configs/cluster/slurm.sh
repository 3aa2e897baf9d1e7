#!/bin/bash
# An array of 16 shards of one list, for Slurm: sbatch configs/cluster/slurm.sh
# Each task of the array runs its share with the CPUs that it is granted. Where a node fails, Slurm runs the task
# again, and msup goes on where it was. The journals are in one folder, which all nodes see.
# When all have finished: msup collect "$HOME/journals/thumbnails"
#SBATCH --job-name=thumbnails
#SBATCH --array=0-15
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# Two minutes before the time limit msup starts nothing new; what runs may finish.
#SBATCH --signal=B:USR1@120

# exec: the signal is for the batch shell, which msup replaces.
exec msup --shard auto --journal "$HOME/journals/thumbnails" --grace 50 --memory 14G \
  --out '{/.}.thumb.jpg' -- gm convert {} -resize 200x200 {out} :::: "$HOME/pictures.txt"
