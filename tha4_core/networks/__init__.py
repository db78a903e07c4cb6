"""The published networks as plain modules. Each file is read from top to bottom; state-dict names are the published.

encoder_decoder  eyebrow decomposer, eyebrow combiner, face morpher: the first three of THA4 and of THA3
unet             body morpher and upscaler: the last two of THA4
tha3             rotator and editor: the last two of THA3
siren            the student's face morpher and body morpher
blocks, norm     what these are built of

Importers name the module (`networks.unet`), because two modules have a BodyMorpher and two a FaceMorpher.
"""
