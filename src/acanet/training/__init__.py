"""Training: manifests and a recipe -> a model, as a bundle.

    recipe       everything that decides a run, typed
    read_recipe  a recipe, or the systems of an experiment, from YAML
    recipe_file  what a file, its bases and the settings say, and on which line
    run          a run from its folder to its outcome: `train`
    setup        what a run is made of, built in its order
    loop         the steps: batch, loss, gradient, average, dev evaluation, checkpoint
    finish       the discriminant, fitted once the network is trained
    checkpoint   the state of a run, in and out
    best         the model of a run, with its `model_card`

What these are made of: `corpus`, `loader`, `dev`, `losses`, `schedule`, `average`, `finite`, `fit_discriminant`; what
surrounds them: `run_folder`, `progress`, `log`, `interrupt`, `memory`, `portable`.
"""
