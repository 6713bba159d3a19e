# CLCR: exchange within levels, aggregation across them. Encoders are hierarchies of three levels.
model = dict(
    type='MultimodalModel',
    calibrator=dict(type='IntraCED', levels=3),
    fuser=dict(type='InterCAD', levels=3, streams=2),
)
